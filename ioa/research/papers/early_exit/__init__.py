"""Sepehri et al.: an exit at the edge, so that maps go up once and no gradient comes back."""
