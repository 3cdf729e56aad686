"""The simulator over real HTTP: does it behave as GitHub does?"""
