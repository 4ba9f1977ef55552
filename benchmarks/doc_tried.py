"""How many settings of the learners of DoC's benchmarks were looked at, on tuning seeds from 1000.

Apart from the settings themselves: a count makes no cell anew.
"""

TRIED = {"doc": 129, "dt": 10, "no_term": 5, "future_vae": 24, "elbo_vae": 1, "percent_bc": 5}
"""Of each arm; one where none stands here."""
