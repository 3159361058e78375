"""The journal: its entries, their folder and what shows them."""
