"""The one training loop and its parts; needs torch and `atomfm_calc` only."""
