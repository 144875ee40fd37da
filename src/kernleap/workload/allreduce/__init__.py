"""All-reduce between processes, as tensor-parallel serving does it several times a token."""
