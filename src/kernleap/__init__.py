"""kernleap: is this Linux kernel worth booting for the LLM serving you run?"""

__version__ = "0.1.0"
