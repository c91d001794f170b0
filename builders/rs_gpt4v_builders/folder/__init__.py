"""A user's own files, as ``load_dataset("rs_gpt4v", "folder", data_dir=...)`` reads them.

`annotations` finds the annotation files of each split and recognises their layout by what is in
them, `source` makes of them a `Source` and configs as the releases have, and the builder goes on as
with these. A layout reads a file into one of the tables of `rs_gpt4v.records`.

To add a layout, write a `layout.Layout` in the module of its family (`dialogues`, `tables`,
`box_layouts`, `class_folders`) or in a new one, and name it in `annotations.LAYOUTS`. It says how
it is recognised, how a file of it is read, and which rows its records become. Its reader gives each
record where it stands (``where``), takes images from ``reading.images``, makes a broken value the
problem of its record, and raises `AnnotationError` for a file of another form. Boxes need less: a
reader in `detection_formats`, and how they are recognised in `box_layouts`.
"""
