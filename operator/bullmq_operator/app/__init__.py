"""The composition root: what is made of what (`core`), in which order it starts and how it stops
(`process`)."""
