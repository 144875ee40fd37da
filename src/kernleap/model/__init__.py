"""The frozen vocabulary that every other part speaks: data that flows, no behaviour."""
