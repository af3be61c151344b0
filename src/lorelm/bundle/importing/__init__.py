"""Import models that were trained elsewhere; nothing in their files is executed."""
