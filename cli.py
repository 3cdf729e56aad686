def main() -> None:
    print("penstock")
