"""What drive-seg's longer commands do; cli.py has the list."""
