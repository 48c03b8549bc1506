"""Evaluation: is a decoder the prior it stands for, and what does it do to a posterior?"""
