"""Room 05: prompting, retrieval or fine-tuning? The same questions to five arms, and what each costs."""
