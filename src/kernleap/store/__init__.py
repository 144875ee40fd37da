"""The store: where the measuring half and the judging half meet (docs/store-schema.md)."""

from kernleap.store.run import RunStore

__all__ = ["RunStore"]
