"""ftlib: from messy questions and answers to a measured decision between prompting, RAG and fine-tuning."""

import logging

__version__ = "0.1.0"

# On processors with AVX512-BF16 bitsandbytes looks for a kernel of its own and warns of its absence, in red, in every
# notebook; peft and transformers' Trainer load it as well, so that this is the one place before them all.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
