"""ftlib: from messy questions and answers to a measured decision between prompting, RAG and fine-tuning."""

__version__ = "0.1.0"
