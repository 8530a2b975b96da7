"""Room 02: devices, quantization, batches, adapters, training, generation and likelihood."""
