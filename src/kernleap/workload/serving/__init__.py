"""LLM serving as a workload: engines, models, load, and what a token costs the kernel."""
