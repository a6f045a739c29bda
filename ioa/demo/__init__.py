"""The demo: five clients, a server and a real broker on this machine, from images to answers."""
