"""Why a decision was made: recomputed from its recorded inputs, told in plain sentences. Pure."""
