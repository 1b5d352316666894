"""Finding people and objects in whole frames and footage, and how well it is done."""
