"""A trained adapter on its way out: as PEFT, merged, for llama.cpp, Ollama and vLLM, held to parity first."""
