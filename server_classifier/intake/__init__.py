"""Records into the database: who may send, what is stored, live and in replays."""
