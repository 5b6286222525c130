"""Makes the models of `atomfm_calc`: data, reference collection, training, export."""
