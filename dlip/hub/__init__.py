"""The folder that `torch.hub.load` reads: `hubconf.py` and nothing else.

torch.hub puts this folder at the head of Python's search path. It must hold no module whose
name Python's own library uses, such as `inspect`.
"""

__all__: list[str] = []
