"""What no GitHub offers: making jobs, breaking things on purpose, looking inside, waiting."""
