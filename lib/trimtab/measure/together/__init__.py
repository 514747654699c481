"""All columns together: has their joint distribution moved, though each may look as before?"""
