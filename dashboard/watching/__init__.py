"""Trainings of somebody else: told by a script or shared by another visitor, and looked at here."""
