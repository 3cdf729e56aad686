"""What Penstock does to the world, as typed signatures; each port stands beside its activities."""
