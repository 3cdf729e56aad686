"""Lists come in pages: `limit` and `cursor` in, `next` out."""

from pydantic import BaseModel, Field


class Page(BaseModel):
    """A page of a list; the same address is in the answer's Link header (RFC 8288)."""

    next: str | None = Field(
        None,
        description="The next page's address on this server; null on the last.",
        examples=["/admin/repos?limit=100&cursor=WyJyZXBvcyIsImFjbWUvYXBpIl0"],
    )
