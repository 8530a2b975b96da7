"""A finished run in use: one question (`ftlib ask`), a talk (`ftlib chat`), a file of questions (`ftlib generate`)."""
