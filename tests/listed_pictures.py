"""Lists of pictures in every format, for tests of the readers."""

import json
from pathlib import Path


def plant(root, *names):
    """Empty files, their folders made as needed."""
    for name in names:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def pairs(data):
    """(name, label) of each picture of an index."""
    return [(data.name(i), data.label(i)) for i in range(len(data))]


def coco(path, images, annotations, categories):
    """images: id -> file_name; annotations: (image, category); categories: id -> name."""
    content = {
        "info": {},
        "images": [{"id": key, "file_name": name} for key, name in images.items()],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category}
            for number, (image, category) in enumerate(annotations)
        ],
        "categories": [{"id": key, "name": name} for key, name in categories.items()],
    }
    path.write_text(json.dumps(content), "utf-8")
    return path


def old_image_directory(root, pictures, ids=None):
    """What the Azure ML designer wrote; pictures: path -> category or None; ids: 0, 1, 2, … unless given."""
    plant(root, *pictures)
    (root / "_meta.yaml").write_text(
        "type: ImageDirectory\nextension: {}\nimage_list: images.lst\nsamples: _samples.json\nschema: _schema.json\n"
    )
    lines = [
        {
            "image_info": {"file_name": path},
            "id": id_,
            **({"category": label} if label is not None else {}),
        }
        for id_, (path, label) in zip(ids or range(len(pictures)), pictures.items(), strict=True)
    ]
    (root / "images.lst").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (root / "_samples.json").write_text("[]")
    (root / "_schema.json").write_text("{}")
    return root
