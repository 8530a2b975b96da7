"""Room 05: prompting, retrieval or fine-tuning? The same questions to every system, and what each costs."""
