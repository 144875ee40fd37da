"""Every format of file that is read."""

from kernleap.imported import aiperf, guidellm, vllm_bench
from kernleap.imported.results import FORMATS

__all__ = ["FORMATS", "aiperf", "guidellm", "vllm_bench"]
