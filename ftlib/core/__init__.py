"""Room 02: devices, quantization, batches, adapters, training, generation and likelihood."""

import logging

# On processors with bf16 hardware bitsandbytes looks for a kernel of the hub's on import and logs that it found none.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(lambda record: "gemm_4bit_forward" not in str(record.msg))
