"""The board: applications as cards, in a column for each stage, in an order of their owner's."""

from shared.board.models import Board, BoardQuery, Place
from shared.board.service import get_board, place_application

__all__ = ["Board", "BoardQuery", "Place", "get_board", "place_application"]
