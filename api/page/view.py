"""What somebody looks at: which repositories, and which page of them."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

LONGEST_SEARCH = 140  # GitHub's owner and repository together
MOST_PAGES = 1000
_SEARCHED = re.compile(r"[a-z0-9._/-]*")


@dataclass(frozen=True)
class View:
    """`search` is a part of `owner/repo` in lower case; pages begin with 1."""

    search: str = ""
    page: int = 1

    @classmethod
    def of(cls, search: str, page: str) -> "View":
        """From an address; what cannot be is left out."""
        wanted = search.strip().lower()[:LONGEST_SEARCH]
        number = int(page) if page.isdecimal() and len(page) < 5 else 1
        return cls(wanted if _SEARCHED.fullmatch(wanted) else "", min(max(1, number), MOST_PAGES))

    def query(self, page: int = 0) -> str:
        """This view's part of an address, of another page if one is named."""
        wanted = {"q": self.search, "page": str(page or self.page)}
        given = {k: v for k, v in wanted.items() if v and (k, v) != ("page", "1")}
        return f"?{urlencode(given)}" if given else ""

    def shows(self, repo: str) -> bool:
        """Whether it is among those searched for."""
        return self.search in repo
