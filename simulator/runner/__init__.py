"""The runner program, standard library only: many start at once on few cores."""
