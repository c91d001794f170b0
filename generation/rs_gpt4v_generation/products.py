"""The three things that are generated of an image."""

from typing import Literal, get_args

Product = Literal["conversation", "reasoning", "detail"]
PRODUCTS: tuple[Product, ...] = get_args(Product)
