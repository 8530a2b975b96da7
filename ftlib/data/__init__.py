"""Room 01: from a messy export of questions and answers to rows that can be trained on and measured with."""
