"""Risk: what is taken on with a kernel, judged from facts and from dated data.

Imports only the model: whatever has to open packages, trees or hosts lives with what measures
and hands its facts over (kernleap.model.kernel_facts).
"""
