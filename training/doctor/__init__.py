"""The data doctor: is a user's file what its owner thinks it is?"""
