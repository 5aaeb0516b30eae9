"""What Jobtrail's functions share. function_app.py is the table of contents."""

VERSION = "0.1.0"
