"""Every format; importing this module registers them."""

from kernleap.imported import aiperf, guidellm, vllm_bench

__all__ = ["aiperf", "guidellm", "vllm_bench"]
