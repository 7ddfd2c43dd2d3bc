"""The API group, its version, and the kinds in it: the one place where these names stand."""

GROUP = "trimtab.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CONFIG_KIND, CONFIG_PLURAL = "PerformanceConfig", "performanceconfigs"
PROFILE_KIND, PROFILE_PLURAL = "TuningProfile", "tuningprofiles"
CHECKPOINT_KIND, CHECKPOINT_PLURAL = "TuningCheckpoint", "tuningcheckpoints"
JOURNAL_KIND, JOURNAL_PLURAL = "TuningJournal", "tuningjournals"
