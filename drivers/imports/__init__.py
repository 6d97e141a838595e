"""Tag lists as engineers have them (tables, TIA, Kepware, NodeSet2, SunSpec) made into profiles."""
