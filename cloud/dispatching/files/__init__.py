"""Problems and plans as files: the classic text formats of job-shop instances, JSON documents, CSV."""
