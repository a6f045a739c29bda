"""Processes: started, watched, logged and ended in order."""
