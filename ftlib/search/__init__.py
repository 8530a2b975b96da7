"""The knowledge base and its search, which training with passages and the comparison both use."""
