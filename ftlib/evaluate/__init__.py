"""Room 03: how good is the model, how sure are we, and what did it cost in general ability?"""
