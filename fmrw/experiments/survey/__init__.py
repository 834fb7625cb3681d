"""Survey: every file of a corpus by every parser, kept as Parquet that any engine reads.

`parsers` and `corpus` say what is run and on which files, `plan` keeps that with the results, `part` runs some files by all parsers (in
whichever process), `mapping` finds what their bytes do, where that is asked for, `spool` keeps what is done of a part, `rows` is what is known of a run, `driver` gives parts to an executor: `pool` on this machine, `cluster` on Dask's
workers, or anybody's. `results` answers questions, `agreement` compares bytes, `page` writes the report.

A survey is a folder:

    survey.json                              corpus, parsers, limits
    files/part-000000.parquet                the files, sorted; those of a part are run by one worker, by every parser
    runs/parser=NAME/part-000000.parquet     a row for each file (`rows.RUNS`)
    extents/parser=NAME/part-000000.parquet  the ranges that were read, merged, several rows for each file (`rows.EXTENTS`)
    effects/parser=NAME/part-000000.parquet  with `probe`: what the bytes of each file do (`rows.EFFECTS`), several rows for each file
    spool/                                   runs of parts that are not finished; empty at the end
"""
